"""A network without data: its architecture, the layout of its parameters, their initial values, and what a step costs."""
