"""The pages of governance: risk and the kill switch, the roadmap, the gate."""
