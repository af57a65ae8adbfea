// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// What a client called c sends, as item 7 of each signal.
const (
	resource  = `"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"c"}}]}`
	numbered  = `"attributes":[{"key":"number","value":{"intValue":"7"}}]`
	traced    = `{"resourceSpans":[{` + resource + `,"scopeSpans":[{"spans":[{` + numbered + `}]}]}]}`
	records   = `{"resourceLogs":[{` + resource + `,"scopeLogs":[{"logRecords":[{` + numbered + `}]}]}]}`
	points    = `{"resourceMetrics":[{` + resource + `,"scopeMetrics":[{"metrics":[{"name":"own","gauge":{"dataPoints":[{"asInt":"9"}]}},{"name":"numbered","gauge":{"dataPoints":[{"asInt":"7"}]}}]}]}]}`
	anonymous = `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + numbered + `}]}]}]}`
	uncounted = `{"resourceSpans":[{` + resource + `,"scopeSpans":[{"spans":[{}]}]}]}`
)

func message[M proto.Message](t *testing.T, text string, into M) M {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
	return into
}

func encode(t *testing.T, of proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func zip(t *testing.T, data []byte) []byte {
	t.Helper()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped.Bytes()
}

func samples(t *testing.T, labels ...prompb.Label) []byte {
	t.Helper()
	request := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: labels, Samples: []prompb.Sample{{Value: 7}}}}}
	data, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, data)
}

// post is a request as a gateway sends it, with changes to its headers; an empty one is
// left out.
type post struct {
	path    string
	body    []byte
	changes map[string]string
}

func (p post) to(t *testing.T, r http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, p.path, bytes.NewReader(p.body))
	for name, value := range map[string]string{
		"Content-Type": "application/x-protobuf", "X-Scope-OrgID": "acme", "X-API-Key-ID": "0123456789ab", "X-API-Key-Name": "team-acme/agents",
	} {
		request.Header.Set(name, value)
	}
	for name, value := range p.changes {
		if request.Header.Set(name, value); value == "" {
			request.Header.Del(name)
		}
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w
}

func TestEveryItemIsCountedWithItsSender(t *testing.T) {
	client, numberedSample := prompb.Label{Name: "client", Value: "c"}, prompb.Label{Name: "__name__", Value: "numbered"}
	r := New()
	for _, p := range []post{
		{path: "/v1/traces", body: encode(t, message(t, traced, &tracepb.ExportTraceServiceRequest{}))},
		{path: "/v1/logs", body: encode(t, message(t, records, &logspb.ExportLogsServiceRequest{}))},
		{path: "/v1/metrics", body: zip(t, encode(t, message(t, points, &metricspb.ExportMetricsServiceRequest{}))), changes: map[string]string{"Content-Encoding": "gzip"}},
		{path: RemoteWritePath, body: samples(t, numberedSample, client)},
		{path: RemoteWritePath, body: samples(t, prompb.Label{Name: "__name__", Value: "up"})},
	} {
		w := p.to(t, r)
		if w.Code/100 != 2 || w.Code == http.StatusOK && w.Header().Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s: %d %v %s", p.path, w.Code, w.Header(), w.Body)
		}
	}
	for _, signal := range []Signal{Traces, Logs, Metrics, Samples} {
		tally := r.Tally(Stream{Client: "c", Signal: signal})
		if len(tally) != 1 || !slices.Equal(tally[7], []Sender{{Organization: "acme", Key: "team-acme/agents"}}) {
			t.Errorf("%s: %v", signal, map[int64][]Sender(tally))
		}
	}
	if faults := r.Faults(); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
}

func TestItemsComeOverGRPC(t *testing.T) {
	r := New()
	conn, err := grpc.NewClient(rig.Serve(t.Context(), r), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-scope-orgid", "acme", "x-api-key-id", "0123456789ab", "x-api-key-name", "team-acme/agents")
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(grpcgzip.Name)}} {
		_, badSpans := tracepb.NewTraceServiceClient(conn).Export(ctx, message(t, traced, &tracepb.ExportTraceServiceRequest{}), options...)
		_, badLogs := logspb.NewLogsServiceClient(conn).Export(ctx, message(t, records, &logspb.ExportLogsServiceRequest{}), options...)
		_, badPoints := metricspb.NewMetricsServiceClient(conn).Export(ctx, message(t, points, &metricspb.ExportMetricsServiceRequest{}), options...)
		if badSpans != nil || badLogs != nil || badPoints != nil {
			t.Error(badSpans, badLogs, badPoints)
		}
	}
	for _, signal := range []Signal{Traces, Logs, Metrics} {
		if tally := r.Tally(Stream{Client: "c", Signal: signal}); !slices.Equal(tally.Twice(), []int64{7}) || tally.BySender()[Sender{Organization: "acme", Key: "team-acme/agents"}] != 2 {
			t.Errorf("%s: %s", signal, tally)
		}
	}
	if faults := r.Faults(); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
}

func TestWhatNoBackEndMaySeeIsAFault(t *testing.T) {
	good := encode(t, message(t, traced, &tracepb.ExportTraceServiceRequest{}))
	for name, test := range map[string]struct {
		post
		want string
	}{
		"a key":                     {post{"/v1/traces", good, map[string]string{"X-API-Key": "hxk_"}}, "a header X-Api-Key"},
		"a session":                 {post{"/v1/traces", good, map[string]string{"Authorization": "Bearer x"}}, "a header Authorization"},
		"no organization":           {post{"/v1/traces", good, map[string]string{"X-Scope-OrgID": ""}}, "0 values of X-Scope-Orgid"},
		"no key's ID":               {post{"/v1/traces", good, map[string]string{"X-API-Key-ID": ""}}, "0 values of X-Api-Key-Id"},
		"a path of nobody's":        {post{"/v1/profiles", good, nil}, "404"},
		"a body that is no gzip":    {post{"/v1/traces", good, map[string]string{"Content-Encoding": "gzip"}}, "400"},
		"a body that is no message": {post{"/v1/traces", []byte("\xff"), nil}, "400"},
		"a body of another type":    {post{"/v1/traces", good, map[string]string{"Content-Type": "text/plain"}}, "415"},
		"gRPC over HTTP/1":          {post{tracepb.TraceService_Export_FullMethodName, good, map[string]string{"Content-Type": "application/grpc"}}, "gRPC over HTTP/1"},
		"samples that are no snappy": {
			post{RemoteWritePath, []byte("\xff"), nil}, "400",
		},
		"an item of nobody's":      {post{"/v1/traces", encode(t, message(t, anonymous, &tracepb.ExportTraceServiceRequest{})), nil}, "from nobody"},
		"an item without a number": {post{"/v1/traces", encode(t, message(t, uncounted, &tracepb.ExportTraceServiceRequest{})), nil}, "without a number"},
	} {
		t.Run(name, func(t *testing.T) {
			r := New()
			test.to(t, r)
			if faults := r.Faults(); len(faults) != 1 || !strings.Contains(faults[0], test.want) {
				t.Errorf("%q, want one with %q", faults, test.want)
			}
		})
	}
}

// What a client did not send whole has not arrived.
func TestAClientThatGoesAwayInTheMiddleIsNoFault(t *testing.T) {
	for _, path := range []string{"/v1/traces", RemoteWritePath} {
		t.Run(path, func(t *testing.T) {
			r, served := New(), make(chan struct{})
			address := rig.Serve(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				defer close(served)
				r.ServeHTTP(w, request)
			}))
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nX-Scope-OrgID: acme\r\n"+
				"X-API-Key-ID: 0123456789ab\r\nX-API-Key-Name: team-acme/agents\r\nContent-Length: 100\r\n\r\n\x0a", path)
			conn.Close()
			<-served
			if faults := r.Faults(); len(faults) > 0 {
				t.Errorf("%q", faults)
			}
		})
	}
}
