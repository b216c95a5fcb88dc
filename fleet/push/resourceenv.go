package push

import (
	"fmt"
	"net/url"
	"strings"
)

// ResourceFromEnv reads OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
// (OpenTelemetry Environment Variable Specification).
func ResourceFromEnv(getenv func(string) string) (map[string]string, error) {
	const variable = "OTEL_RESOURCE_ATTRIBUTES"
	out := map[string]string{}
	for i, pair := range strings.Split(getenv(variable), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			return nil, fmt.Errorf("%s: element %d is not NAME=VALUE", variable, i+1)
		}
		out[name] = value
	}
	if name := getenv("OTEL_SERVICE_NAME"); name != "" {
		out["service.name"] = name
	}
	return out, nil
}
