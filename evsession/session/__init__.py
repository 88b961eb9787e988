"""What sessions on both databases share: operations, events, transactions, the verbs of the unit of work. Knows no database."""
