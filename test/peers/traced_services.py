"""Two services on either side of the gateway, and an OTLP receiver, of OpenTelemetry's own packages:
pip install opentelemetry-sdk opentelemetry-proto opentelemetry-propagator-b3 opentelemetry-propagator-jaeger
opentelemetry-propagator-ot-trace opentelemetry-propagator-aws-xray opentelemetry-propagator-gcp

Prints its port. GET /sent/<format>/<trace>/<span>: the headers that a client in that span sends. GET /served/<format>: what a service
takes its caller to be. POST /v1/traces, /v1/logs: OTLP. GET /spans, /lines: those that came."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import trace
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.cloud_trace_propagator import CloudTraceFormatPropagator
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.ot_trace import OTTracePropagator
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROPAGATORS = {
    "w3c": TraceContextTextMapPropagator(),
    "b3": B3MultiFormat(),
    "b3-single": B3SingleFormat(),
    "jaeger": JaegerPropagator(),
    "ot": OTTracePropagator(),
    "aws": AwsXRayPropagator(),
    "gcp": CloudTraceFormatPropagator(),
}
SPANS = []
LINES = []


def sent(name, trace_id, span_id):
    context = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(1))
    headers = {}
    PROPAGATORS[name].inject(headers, trace.set_span_in_context(trace.NonRecordingSpan(context)))
    return headers


def served(name, headers):
    # Carriers are dicts of the propagator's own spelling.
    carrier = {field: headers[field] for field in PROPAGATORS[name].fields if headers[field] is not None}
    for field, value in headers.items():
        carrier.setdefault(field.lower(), value)
    context = trace.get_current_span(PROPAGATORS[name].extract(carrier)).get_span_context()
    return {"trace": format(context.trace_id, "032x"), "span": format(context.span_id, "016x"), "sampled": bool(context.trace_flags)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        _, what, *rest = self.path.split("/")
        kept = {"spans": SPANS, "lines": LINES}.get(what)
        result = kept if kept is not None else sent(*rest) if what == "sent" else served(rest[0], self.headers)
        self.answer(json.dumps(result).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/logs":
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                for record in (record for scope in resource.scope_logs for record in scope.log_records):
                    line = {"text": record.body.string_value, "severity": record.severity_number}
                    LINES.append({**line, "trace": record.trace_id.hex(), "span": record.span_id.hex()})
            self.answer(ExportLogsServiceResponse().SerializeToString(), "application/x-protobuf")
            return
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    ids = {"trace": span.trace_id.hex(), "span": span.span_id.hex(), "parent": span.parent_span_id.hex()}
                    times = span.start_time_unix_nano, span.end_time_unix_nano
                    SPANS.append({**ids, "name": span.name, "kind": span.kind, "times": times})
        self.answer(ExportTraceServiceResponse().SerializeToString(), "application/x-protobuf")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
