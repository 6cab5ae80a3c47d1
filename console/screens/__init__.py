"""The screens, one module each, and the lines they are made of as pure functions of the view."""
