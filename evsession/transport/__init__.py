"""h11 over trio: moves requests to servers and answers back. Does not know what a document is."""
