"""Policy gradient from pixels: many games side by side, played by processes of their own."""
