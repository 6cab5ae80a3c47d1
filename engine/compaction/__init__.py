"""How the lake and memory are kept small: advice from figures, and plans shown before they are done."""
