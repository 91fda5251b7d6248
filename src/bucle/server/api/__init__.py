"""The native routes, a module for each room: `ROUTES`, and `compose(house)` where the room has parts in the house."""
