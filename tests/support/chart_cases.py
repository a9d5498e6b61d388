"""Installations of the chart that its tests look at, as values."""

from typing import Any

Values = dict[str, Any]


def merged(*parts: Values) -> Values:
    """Values on top of one another, as Helm merges them."""
    whole: Values = {}
    for part in parts:
        for key, value in part.items():
            before = whole.get(key)
            whole[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return whole


SUPABASE: Values = {"settings": {"SUPABASE_URL": "https://abcd.supabase.co"}}
EXISTING_SECRET: Values = merged(SUPABASE, {"secret": {"existingSecret": "keys"}})
EXTERNAL_SECRET: Values = merged(SUPABASE, {"secret": {"externalSecret": {"key": "natca", "store": "vault"}}})
INLINE: Values = merged(
    SUPABASE,
    {
        "secret": {
            "inline": {
                "INTERCOM_ACCESS_TOKEN": "t0ken-of-intercom",
                "SUPABASE_KEY": "key-of-supabase",
                "INTERCOM_CLIENT_SECRET": "s3cret-of-intercom",
            }
        }
    },
)
POSTGRESQL: Values = {"webhook": {"store": "postgresql", "replicas": 3}}
ALL_PARTS_OFF: Values = {part: {"enabled": False} for part in ("webhook", "nightly", "sweep", "operator")}
EVERYTHING_ON: Values = {
    "commonLabels": {"team": "members"},
    "image": {"pullSecrets": [{"name": "registry"}], "digests": {"webhook": f"sha256:{'0' * 64}"}},
    "settings": {"MYSQL_HOST": "mysql.example.org", "MYSQL_USER": "reader", "MYSQL_DB": "natca", "MYSQL_PORT": 3307},
    "secret": {"inline": {"WEBHOOK_STORE": "postgresql://natca@postgres/natca", "MYSQL_PASS": "p4ss-of-mysql"}},
    "mysqlCaConfigMap": "mysql-ca",
    "serviceAccount": {"annotations": {"example.org/identity": "natca"}},
    "pods": {
        "annotations": {"example.org/note": "1"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "important",
    },
    "webhook": {
        "store": "postgresql",
        "host": "intercom.example.org",
        "autoscaling": {"enabled": True},
        "ingress": {"enabled": True, "className": "nginx", "annotations": {"cert-manager.io/issuer": "letsencrypt"}},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway", "namespace": "gateways"}]},
    },
    "operator": {"allNamespaces": True},
    "networkPolicy": {
        "webhookFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "extraEgress": [{"ports": [{"port": 6543}]}],
    },
    "sandbox": {"enabled": True},
    "monitoring": {
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
}

CASES: dict[str, Values] = {
    "default": EXISTING_SECRET,
    "sandbox": {"sandbox": {"enabled": True}},
    "everything-on": EVERYTHING_ON,
    "everything-off": merged(
        EXISTING_SECRET, ALL_PARTS_OFF, {"networkPolicy": {"enabled": False}, "crds": {"install": False}}
    ),
    "only-nightly": merged(EXISTING_SECRET, ALL_PARTS_OFF, {"nightly": {"enabled": True}}),
    "postgresql": merged(EXISTING_SECRET, POSTGRESQL),
    "autoscaled": merged(EXISTING_SECRET, POSTGRESQL, {"webhook": {"autoscaling": {"enabled": True}}}),
    "external-secret": EXTERNAL_SECRET,
    "inline-secret": INLINE,
    "mysql-only": merged(
        EXISTING_SECRET,
        {"settings": {"MEMBER_SOURCES": "mysql", "MYSQL_HOST": "m.example.org", "MYSQL_USER": "u", "MYSQL_DB": "d"}},
    ),
    "shared-volume": merged(EXISTING_SECRET, {"runs": {"persistence": {"accessMode": "ReadWriteMany"}}}),
    "ingress": merged(EXISTING_SECRET, {"webhook": {"host": "i.example.org", "ingress": {"enabled": True}}}),
}
