"""Tests of the chart: every kind of installation, rendered by real Helm."""
