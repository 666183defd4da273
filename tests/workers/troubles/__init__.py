"""Events about what goes wrong, and the chats that hear of it."""
