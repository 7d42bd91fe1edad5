# name: sand
# target: plugin
# expect: it cannot be imported as
# fix: name an object of
instrument = None
