"""The job process: what the platform does outside a request. schedule.py is the table of all periodic
jobs."""
