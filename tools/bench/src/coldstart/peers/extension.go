// SPDX-License-Identifier: Apache-2.0

// The least that an extension in Go does to hold configurations before the handler starts: it
// registers, fetches, serves on 2772's API, and asks for the first event. The standard library only.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

var endpoint = os.Getenv("AWS_ENDPOINT_URL_APPCONFIGDATA")

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// Signature version 4, with the headers that the two calls have.
func sign(request *http.Request, body []byte) {
	now := time.Now().UTC().Format("20060102T150405Z")
	region := os.Getenv("AWS_REGION")
	scope := now[:8] + "/" + region + "/appconfig/aws4_request"
	hash := sha256.Sum256(body)
	token := os.Getenv("AWS_SESSION_TOKEN")
	canonical := strings.Join([]string{request.Method, request.URL.EscapedPath(),
		request.URL.RawQuery, "host:" + request.URL.Host, "x-amz-date:" + now,
		"x-amz-security-token:" + token, "", "host;x-amz-date;x-amz-security-token",
		hex.EncodeToString(hash[:])}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + os.Getenv("AWS_SECRET_ACCESS_KEY"))
	for _, part := range []string{now[:8], region, "appconfig", "aws4_request"} {
		key = keyed(key, part)
	}
	signature := keyed(key, "AWS4-HMAC-SHA256\n"+now+"\n"+scope+"\n"+hex.EncodeToString(digest[:]))
	request.Header.Set("X-Amz-Date", now)
	request.Header.Set("X-Amz-Security-Token", token)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+
		os.Getenv("AWS_ACCESS_KEY_ID")+"/"+scope+
		", SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="+
		hex.EncodeToString(signature))
}

func call(client *http.Client, method, target string, body []byte) []byte {
	request, err := http.NewRequest(method, endpoint+target, bytes.NewReader(body))
	must(err)
	sign(request, body)
	response, err := client.Do(request)
	must(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	must(err)
	if response.StatusCode/100 != 2 {
		must(fmt.Errorf("%s %s: %s", method, target, response.Status))
	}
	return answer
}

func fetch(client *http.Client, name string) []byte {
	part := strings.Split(name, ":")
	body, err := json.Marshal(map[string]string{"ApplicationIdentifier": part[0],
		"EnvironmentIdentifier": part[1], "ConfigurationProfileIdentifier": part[2]})
	must(err)
	var session struct{ InitialConfigurationToken string }
	must(json.Unmarshal(call(client, "POST", "/configurationsessions", body), &session))
	return call(client, "GET", "/configuration?configuration_token="+
		url.QueryEscape(session.InitialConfigurationToken), nil)
}

func main() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2020-01-01/extension"
	local := &http.Client{Transport: &http.Transport{Proxy: nil}}
	request, err := http.NewRequest("POST", api+"/register",
		strings.NewReader(`{"events":["INVOKE","SHUTDOWN"]}`))
	must(err)
	request.Header.Set("Lambda-Extension-Name", filepath.Base(os.Args[0]))
	response, err := local.Do(request)
	must(err)
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	id := response.Header.Get("Lambda-Extension-Identifier")

	pem, err := os.ReadFile(os.Getenv("AWS_CA_BUNDLE"))
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	upstream := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 3,
		TLSClientConfig: &tls.Config{RootCAs: roots}}}
	var all sync.WaitGroup
	var mutex sync.Mutex
	held := map[string][]byte{}
	for _, name := range strings.Split(os.Getenv("AWS_APPCONFIG_EXTENSION_PREFETCH_LIST"), ",") {
		all.Add(1)
		go func() {
			defer all.Done()
			content := fetch(upstream, name)
			part := strings.Split(name, ":")
			mutex.Lock()
			defer mutex.Unlock()
			held["/applications/"+part[0]+"/environments/"+part[1]+"/configurations/"+part[2]] = content
		}()
	}
	all.Wait()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(listener, http.HandlerFunc(func(to http.ResponseWriter, from *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		to.Write(held[from.URL.Path])
	}))

	next, err := http.NewRequest("GET", api+"/event/next", nil)
	must(err)
	next.Header.Set("Lambda-Extension-Identifier", id)
	_, err = local.Do(next)
	must(err)
}
