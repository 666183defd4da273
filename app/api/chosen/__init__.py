"""Jobs by the list's filters, in a query or in a body; and actions on many jobs at once."""
