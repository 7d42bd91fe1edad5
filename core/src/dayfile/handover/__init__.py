"""Records handed on to other libraries: one module for each, imported when it is used."""
