"""What the files of a folder say of themselves, for ``pypcore init``: each fact with where it was found."""
