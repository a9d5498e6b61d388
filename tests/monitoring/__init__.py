"""Alerts, dashboards and metrics, and the contract between them."""
