"""HTTP: the application with the routes of all plugins, the bounds of what it takes, the processes that run it."""
