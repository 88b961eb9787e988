"""What a session remembers: the identity map and what changed in it. Knows neither wire nor database."""
