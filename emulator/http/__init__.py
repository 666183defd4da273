"""HTTP: signatures, the supported surface, XML, errors."""
