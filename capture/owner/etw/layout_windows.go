package etw

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// The structures of evntrace.h, evntprov.h and evntcons.h as they are on
// 64-bit Windows.

type wnodeHeader struct {
	bufferSize, providerID uint32
	historicalContext      uint64
	timeStamp              int64
	guid                   windows.GUID
	clientContext, flags   uint32
}

// traceProperties is EVENT_TRACE_PROPERTIES with room for the session's name
// behind it.
type traceProperties struct {
	wnode                                                                                       wnodeHeader
	bufferSize, minimumBuffers, maximumBuffers, maximumFileSize, logFileMode, flushTimer, flags uint32
	ageLimit                                                                                    int32
	numberOfBuffers, freeBuffers, eventsLost, buffersWritten, logBuffersLost, realTimeLost      uint32
	loggerThread                                                                                windows.Handle
	logFileNameOffset, loggerNameOffset                                                         uint32
	name, file                                                                                  [maxName]uint16
}

const maxName = 1024

func newProperties() *traceProperties {
	p := &traceProperties{}
	p.wnode.bufferSize = uint32(unsafe.Sizeof(*p))
	p.loggerNameOffset = uint32(unsafe.Offsetof(p.name))
	p.logFileNameOffset = uint32(unsafe.Offsetof(p.file))
	return p
}

type enableParameters struct {
	version, property, controlFlags uint32
	sourceID                        windows.GUID
	filters                         *filterDescriptor
	filterCount                     uint32
}

type filterDescriptor struct {
	at         *filterEvents // a ULONGLONG there
	size, kind uint32
}

// filterEvents is EVENT_FILTER_EVENT_ID with its list.
type filterEvents struct {
	in, _  uint8
	count  uint16
	events [32]uint16
}

type eventTraceHeader struct {
	size, fieldTypeFlags         uint16
	version, threadID, processID uint32
	timeStamp                    int64
	guid                         windows.GUID
	processorTime                uint64
}

type eventTrace struct {
	header                    eventTraceHeader
	instanceID, parentID      uint32
	parentGUID                windows.GUID
	mofData                   uintptr
	mofLength, bufferContexts uint32
}

type traceLogfileHeader struct {
	bufferSize, version, providerVersion, processors              uint32
	endTime                                                       int64
	timerResolution, maximumFileSize, logFileMode, buffersWritten uint32
	instance                                                      windows.GUID
	loggerName, logFileName                                       uintptr
	zone                                                          windows.Timezoneinformation
	bootTime, perfFrequency, startTime                            int64
	reserved, buffersLost                                         uint32
}

type traceLogfile struct {
	logFileName, loggerName        *uint16
	currentTime                    int64
	buffersRead, mode              uint32
	currentEvent                   eventTrace
	header                         traceLogfileHeader
	bufferCallback                 uintptr
	bufferSize, filled, eventsLost uint32
	eventCallback                  uintptr
	isKernelTrace                  uint32
	context                        uintptr
}

type eventDescriptor struct {
	id                              uint16
	version, channel, level, opcode uint8
	task                            uint16
	keyword                         uint64
}

type eventRecord struct {
	size, headerType, flags, property uint16
	threadID, processID               uint32
	timeStamp                         int64
	provider                          windows.GUID
	descriptor                        eventDescriptor
	processorTime                     uint64
	activityID                        windows.GUID
	bufferContext                     uint32
	extendedCount, userDataLength     uint16
	extendedData, userData            unsafe.Pointer
	userContext                       uintptr
}

func (r *eventRecord) payload() []byte {
	if r.userData == nil {
		return nil
	}
	return unsafe.Slice((*byte)(r.userData), r.userDataLength)
}
