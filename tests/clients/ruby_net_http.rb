# SPDX-License-Identifier: Apache-2.0
# Net::HTTP of Ruby, one connection for all. README.md says what a client does.
require "erb"
require "net/http"

base = URI(ARGV[0])
$stdin.set_encoding("UTF-8")
$stdout.sync = true

Net::HTTP.start(base.host, base.port) do |http|
  $stdin.each_line(chomp: true) do |line|
    method, etag, *names = line.split("\t")
    application, environment, profile = names.map { |name| ERB::Util.url_encode(name) }
    path = "/applications/#{application}/environments/#{environment}/configurations/#{profile}"
    request = Net::HTTP.const_get(method.capitalize).new(path)
    request["If-None-Match"] = etag unless etag.empty?
    response = http.request(request)
    puts [response.code, response["ETag"], response["Content-Type"], response["Content-Length"],
          [response.body.to_s].pack("m0")].join("\t")
  end
end
