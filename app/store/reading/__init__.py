"""How jobs are read: what is stored of them, the record made of that, lists of them."""
