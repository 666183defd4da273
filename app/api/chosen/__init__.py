"""Jobs by the list's filters, in a query or in a body; and what may be done with many of them at once."""
