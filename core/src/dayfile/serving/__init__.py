"""HTTP: the application with the routes of all plugins, its limits, and the processes that run it."""
