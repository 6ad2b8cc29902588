"""The command line: parse, build the request, call pypcore, print. One file a verb."""
