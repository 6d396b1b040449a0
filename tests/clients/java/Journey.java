import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import kommunebro.ApiClient;
import kommunebro.ApiException;
import kommunebro.api.EventsApi;
import kommunebro.api.JobOrdersApi;
import kommunebro.api.SubscriptionsApi;
import kommunebro.model.CursorBody;
import kommunebro.model.Event;
import kommunebro.model.ForwardedJobOrderEvent;
import kommunebro.model.JobOrderEvent;
import kommunebro.model.NewSubscription;
import kommunebro.model.Problem;
import kommunebro.model.PullAnswer;
import kommunebro.model.SubscriptionAnswer;

/** A job order's way from Struer to Herning, with a client that was made from /openapi.json. */
public final class Journey {
    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        ApiClient struer = client(url, arguments[1]);
        ApiClient herning = client(url, arguments[2]);
        String text = Files.readString(Path.of(arguments[3]));

        SubscriptionsApi subscriptions = new SubscriptionsApi(herning);
        NewSubscription wish = new NewSubscription().name("Jobordrer").start("latest");
        wish.types(List.of(NewSubscription.TypesEnum.DK_KOMMUNEBRO_JOB_ORDER));
        SubscriptionAnswer subscription = subscriptions.makeSubscription(wish);

        JobOrderEvent order = ApiClient.createDefaultObjectMapper().readValue(text, JobOrderEvent.class);
        EventsApi events = new EventsApi(struer);
        System.out.println("published " + events.publishEventsWithHttpInfo(new Event(order), null, null, null, null, null, null, null).getStatusCode());

        PullAnswer pulled = subscriptions.pullEvents(subscription.getId(), 10, BigDecimal.valueOf(20), null);
        ForwardedJobOrderEvent received = pulled.getEvents().get(0).getForwardedJobOrderEvent();
        System.out.println("received " + received.getSubject() + " in " + received.getAlliance());
        System.out.println("title " + received.getData().getTitle());
        CursorBody cursor = new CursorBody().cursor(pulled.getCursor());
        System.out.println("left " + subscriptions.moveCursor(subscription.getId(), cursor).getLag().getEvents());

        var seen = new JobOrdersApi(herning).listJobOrders("0671", null, null, null, null, "open", null, null, 100, null);
        System.out.println("listed " + seen.getJobOrders().stream().anyMatch(one -> one.getJobOrderId().equals(order.getSubject())));

        order.id(order.getId() + "-again").getData().setPositions(0);
        try {
            events.publishEvents(new Event(order), null, null, null, null, null, null, null);
        } catch (ApiException refused) {
            Problem problem = ApiClient.createDefaultObjectMapper().readValue(refused.getResponseBody(), Problem.class);
            System.out.println("refused " + refused.getCode() + " " + problem.getType() + " " + problem.getErrors().get(0).getPointer());
        }
    }

    private static ApiClient client(String url, String token) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(url);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        return client;
    }
}
