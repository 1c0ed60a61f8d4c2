"""Keys of task files that had other names once: whoever still writes those is told the new one."""

RENAMED = {
    "pixels.games": "pixels.num_envs",
    "pixels.steps": "pixels.num_steps",
    "pixels.passes": "pixels.update_epochs",
    "pixels.parts": "pixels.num_minibatches",
    "pixels.clip": "pixels.clip_coef",
    "pixels.longest_gradient": "pixels.max_grad_norm",
    "pixels.cooling": "pixels.annealing",
    "pixels.shared_rate": "pixels.shared_learning_rate",
    "hardware.word_inputs": "hardware.inputs_per_clock",
}
