"""How a day file holds records: append, slots, intervals, and the ledger."""
