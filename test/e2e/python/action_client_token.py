"""A client of the dialect action that keeps its token from "token".

Like action_client_data.py, with another field.
"""
import action_client

action_client.run(key="token", about_tokens={"register", "connection", "disconnect", "remove"})
