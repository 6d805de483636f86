/* SPDX-License-Identifier: Apache-2.0 */
/* usage: JettyClone <port> <route>: counts visits in the session. */

import java.io.IOException;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import javax.servlet.http.HttpSession;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.session.DefaultSessionIdManager;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

public class JettyClone extends HttpServlet {
    private final String route;

    JettyClone(String route) {
        this.route = route;
    }

    protected void doGet(HttpServletRequest request,
                         HttpServletResponse answer) throws IOException {
        if (request.getServletPath().equals("/ready")) {
            answer.getWriter().println("ready");
            return;
        }
        HttpSession session = request.getSession();
        Integer n = (Integer) session.getAttribute("n");
        n = n == null ? 1 : n + 1;
        session.setAttribute("n", n);
        answer.getWriter().printf("{\"clone\": \"%s\", \"n\": %d}%n", route,
                                  n);
    }

    public static void main(String[] args) throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        DefaultSessionIdManager ids = new DefaultSessionIdManager(server);
        ServletContextHandler context = new ServletContextHandler(
            ServletContextHandler.SESSIONS);
        ServletHolder servlet = new ServletHolder(new JettyClone(args[1]));

        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(args[0]));
        server.addConnector(connector);
        ids.setWorkerName(args[1]);
        server.setSessionIdManager(ids);
        context.addServlet(servlet, "/count");
        context.addServlet(servlet, "/ready");
        server.setHandler(context);
        server.start();
        server.join();
    }
}
