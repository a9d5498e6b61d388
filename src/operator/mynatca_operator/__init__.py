"""The operator: `kubectl apply` an IntercomAudit, and be told the truth about it."""
