"""The dashboard: server-rendered pages for people, who sign in to look and to decide."""
