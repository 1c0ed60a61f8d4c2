"""From the Gym to the gates. This folder is the ground floor: what all the other packages stand on."""
