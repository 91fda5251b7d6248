"""The way to a home: over HTTP to the server that holds it, or in this process while it holds the lock."""

from bucle.client.connection import Client, connect
from bucle.client.drives import connect_script
from bucle.client.errors import ConnectionLost, NeedsServer, NoProject, NotBucle, Unreachable
from bucle.client.homes import default_home, project_name, project_root
from bucle.client.pushing import push_commit
from bucle.client.scripts import ClientSink, start_run

__all__ = [
    "Client",
    "ClientSink",
    "ConnectionLost",
    "NeedsServer",
    "NoProject",
    "NotBucle",
    "Unreachable",
    "connect",
    "connect_script",
    "default_home",
    "project_name",
    "project_root",
    "push_commit",
    "start_run",
]
