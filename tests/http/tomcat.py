# SPDX-License-Identifier: Apache-2.0
"""A real Tomcat 10 from the distribution's packages, with a CATALINA_BASE of
its own and one page that counts visits in the session."""

import os
import shutil

from app_server import AppServer

HOMES = ("/usr/share/tomcat10", "/usr/share/tomcat")

SERVER_XML = """<Server port="-1">
  <Service name="Catalina">
    <Connector port="{port}" address="127.0.0.1" protocol="HTTP/1.1"/>
    <Engine name="Catalina" defaultHost="localhost" jvmRoute="{route}">
      <Host name="localhost" appBase="webapps" autoDeploy="false"
            unpackWARs="false"/>
    </Engine>
  </Service>
</Server>
"""

WEB_XML = """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="5.0"
         metadata-complete="true">
  <servlet>
    <servlet-name>jsp</servlet-name>
    <servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class>
    <load-on-startup>1</load-on-startup>
  </servlet>
  <servlet-mapping>
    <servlet-name>jsp</servlet-name>
    <url-pattern>*.jsp</url-pattern>
  </servlet-mapping>
</web-app>
"""

# what the container needs to find its own classes, and no scan for others
PROPERTIES = """common.loader="${catalina.home}/lib/*.jar"
server.loader=
shared.loader=
tomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar
"""

COUNT_JSP = """<%@ page session="true" contentType="application/json" %><%
    Integer n = (Integer) session.getAttribute("n");
    n = n == null ? 1 : n + 1;
    session.setAttribute("n", n);
%>{"clone": "<%= System.getProperty("route") %>", "n": <%= n %>}
"""

READY_JSP = """<%@ page session="false" contentType="text/plain" %>ready
"""


class Tomcat(AppServer):
    """One instance, its CATALINA_BASE the folder."""

    page = "/count.jsp"
    ready_page = "/ready.jsp"

    def __init__(self, route, folder):
        super().__init__(route, folder)
        self.home = next((h for h in HOMES if os.path.isdir(h)), None)
        assert self.home, f"none of {HOMES}: package tomcat10-common"
        self._write("conf/server.xml",
                    SERVER_XML.format(port=self.port, route=route))
        self._write("conf/web.xml", WEB_XML)
        self._write("conf/catalina.properties", PROPERTIES)
        self._write("webapps/ROOT/count.jsp", COUNT_JSP)
        self._write("webapps/ROOT/ready.jsp", READY_JSP)
        for name in ("logs", "temp", "work"):
            os.makedirs(os.path.join(self.folder, name))

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def argv(self):
        java = shutil.which("java")
        assert java, "java is missing"
        bin_dir = os.path.join(self.home, "bin")
        return [java, "-Xmx128m", "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
                f"-Dcatalina.home={self.home}",
                f"-Dcatalina.base={self.folder}",
                f"-Djava.io.tmpdir={self.folder}/temp",
                f"-Droute={self.route}", "-cp",
                f"{bin_dir}/bootstrap.jar:{bin_dir}/tomcat-juli.jar",
                "org.apache.catalina.startup.Bootstrap", "start"]
