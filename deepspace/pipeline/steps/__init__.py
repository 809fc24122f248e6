"""The steps of the request path, one file each. None knows another; chat.py puts them in order."""
