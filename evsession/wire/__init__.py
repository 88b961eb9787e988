"""What every layer speaks: requests, responses, flows and JSON. Knows no database and does no I/O."""
