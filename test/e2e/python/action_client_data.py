"""A client of the dialect action that keeps its token from "data".

It reads commands from its input, as a person types them, and prints what it
sends and gets. Of whatever arrives it takes "data" for its token if the last
command was one that is about tokens, and never looks at the status.
"""
import action_client

action_client.run(key="data", about_tokens={"register", "connection", "disconnect"})
