"""The service that Intercom's webhooks call: it stores each event before it answers, and works on it afterwards."""
