package engine

// StartOn is Start with a choice of ports.
var StartOn = startOn
