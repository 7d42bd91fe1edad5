# name: sand
# expect: SystemExit
# fix: correct it
import sys

sys.exit("this is a script")
