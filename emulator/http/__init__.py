"""How requests come in: signatures, what is here at all, XML, errors."""
