"""What we send: a request becomes XML, after the rules that it must keep."""
