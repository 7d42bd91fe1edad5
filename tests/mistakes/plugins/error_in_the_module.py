# name: sand
# expect: ZeroDivisionError
# fix: correct it
RATE = 1 / 0
plugin = None
