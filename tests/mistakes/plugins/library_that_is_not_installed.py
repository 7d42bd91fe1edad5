# name: sand
# expect: No module named 'calibration_that_nobody_has'
# fix: install what is missing, and require it in its pyproject.toml
import calibration_that_nobody_has

plugin = calibration_that_nobody_has
