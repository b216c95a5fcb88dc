package spans

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Resource sets what is known of the machine that the capture was made on.
func (b *Plan) Resource(m pcommon.Map) {
	a := attrs{m}
	a.str(key(semconv.HostNameKey), b.c.Host)
	switch s := b.c.Document.Platform; s {
	case "linux", "windows", "darwin": // as os.type names them, too
		a.str(key(semconv.OSTypeKey), s)
	}
}
