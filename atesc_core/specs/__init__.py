"""Specs: all settings of a distillation run or of a teacher's training, validated, with presets."""
