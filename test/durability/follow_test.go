package durability

// A follow is one run as one client sees it. The client's mutex guards it.
type follow struct {
	run   *run
	runID string // "" of a widget that does not know it yet

	// Of widgets: the connect that starts the run, with its id.
	widgetID, workflowID, messageID string
	input                           map[string]any

	acked bool     // the server has confirmed it to this session
	since int      // how much of got the latest request has said to be there
	got   []update // events of the run's room, as they came
	shown []string // events of the widget
}

// An update is an event of a run's room.
type update struct {
	offset uint64
	what   string // the node and its status, or that of the run; "" asks for input
}

// ended reports whether the update is the end of the run.
func (f *follow) ended() bool {
	return len(f.got) > 0 && f.run.isEnd(f.got[len(f.got)-1].what)
}

// done reports whether there is nothing more to come.
func (f *follow) done() bool {
	return f.ended() && (f.widgetID == "" || len(f.shown) > 0 && f.run.isEnd(f.shown[len(f.shown)-1]))
}

// request is what the client asks for. It forgets what comes again.
func (f *follow) request(epoch string) (event string, payload map[string]any) {
	f.rewind(epoch)
	if f.widgetID == "" {
		payload = map[string]any{"runId": f.runID}
		if f.since > 0 {
			payload["since"] = f.position(epoch)
		}
		return "workflow_run_join", payload
	}
	if f.runID == "" || epoch == "" {
		return "widget_workflow_connect", map[string]any{
			"widgetID": f.widgetID, "workflowID": f.workflowID, "inputParams": f.input, "clientMessageID": f.messageID,
		}
	}
	return "widget_workflow_connect", map[string]any{
		"widgetID": f.widgetID, "instanceID": f.runID, "mode": "subscribe", "since": f.position(epoch),
	}
}

func (f *follow) position(epoch string) map[string]any {
	var offset uint64
	if f.since > 0 {
		offset = f.got[f.since-1].offset
	}
	return map[string]any{"epoch": epoch, "offset": offset}
}

// rewind takes both views of a widget back to where they are equal: it asks for
// one position, and events of the widget and of the room come one after the
// other, so that the connection may have been lost between the two. The views
// of others stay as they are.
func (f *follow) rewind(epoch string) {
	if epoch == "" {
		f.got, f.shown, f.since = nil, nil, 0
		return
	}
	f.since = len(f.got)
	if f.widgetID == "" {
		return
	}
	equal, at := 0, 0
	for ; at < len(f.got); at++ {
		if f.got[at].what == "" {
			continue
		}
		if equal == len(f.shown) {
			break
		}
		equal++
	}
	f.got, f.shown, f.since = f.got[:at], f.shown[:equal], at
}

// begin is the confirmation that the widget shows a run. What was asked for
// follows: all of it, if the run was to be started.
func (f *follow) begin(runID string) {
	if f.runID == "" {
		f.got, f.shown = nil, nil
	}
	f.runID, f.acked = runID, true
}

func (f *follow) show(what string) { f.shown = append(f.shown, what) }
