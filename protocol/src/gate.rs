//! The admission gate: what every node checks of what another wrote, before it is written down.
